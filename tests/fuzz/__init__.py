"""Laws under coverage-guided fuzzing: hypothesis tests like any others, which `python -m tests.fuzz` drives further."""
