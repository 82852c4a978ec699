"""Problems where a first attempt usually fails and checking is cheap, in five levels, with their solvers."""
