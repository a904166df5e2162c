"""The subcommands of `semtel`, one module each: arguments in, tables out. What they do is done elsewhere."""
