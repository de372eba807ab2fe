# Nothing in this module is visible from Python.
