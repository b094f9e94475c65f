"""The built-in models at run time: numpy and the compiled core, no I/O once they are loaded."""
