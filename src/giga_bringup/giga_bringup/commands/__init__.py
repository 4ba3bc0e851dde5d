"""The verbs of `giga`, one module each: SUMMARY, EXAMPLES, add_arguments(parser), run(args) -> exit status."""
