"""What a person reads when something is wrong."""


class UserError(Exception):
    """One sentence for the user: what is wrong, where, and what to do. Printed without a traceback."""
