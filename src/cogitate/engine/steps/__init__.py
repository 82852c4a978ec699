"""One step of all running completions: on a CPU, where the host does what is not worth a kernel, and on a device."""
