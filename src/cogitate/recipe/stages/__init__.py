"""One file for each kind of stage: `run` reads only its inputs and writes only its output directory."""
