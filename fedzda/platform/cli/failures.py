"""Exit codes: 0 done, 1 failed while running, 2 the user's input is wrong, 130 interrupted."""

from __future__ import annotations

import errno
from typing import Any

import typer
from typer.core import TyperGroup

FAILED, WRONG_INPUT, INTERRUPTED = 1, 2, 130
_MACHINE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}


class FailureGroup(TyperGroup):
    """Runs a command and turns errors that are not bugs into a message and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that ``ctx`` holds."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            typer.echo("interrupted.", err=True)
            raise typer.Exit(INTERRUPTED) from error
        except typer.BadParameter as error:
            # the parser's own name for a type
            said = error.message.replace("a valid integer range", "a whole number")
            raise typer.BadParameter(said, error.ctx, error.param, error.param_hint) from error
        except Exception as error:
            explained = _explain(error)
            if explained is None:
                raise
            message, code = explained
            typer.echo(message, err=True)
            raise typer.Exit(code) from error


def _explain(error: Exception) -> tuple[str, int] | None:
    """Message and exit code of an error; None for a bug, which keeps its traceback."""
    from fedzda.base import RunError, UserError

    if isinstance(error, UserError):
        return str(error), WRONG_INPUT
    if isinstance(error, RunError):
        return f"the run failed: {error}", FAILED
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return (
            "there is not enough memory for what the configuration asks for. Lower model sizes "
            "(model.width), local.batch_size, evaluate.batch_size or engine.workers.",
            FAILED,
        )
    if isinstance(error, OSError) and error.errno in _MACHINE_ERRORS:
        where = f" '{error.filename}'" if error.filename else ""
        advice = "Free some space" if error.errno != errno.EACCES else "Change its permissions"
        sentence = f"cannot write or read{where}: {error.strerror}. {advice}, or choose another"
        return f"{sentence} folder (key 'output', or FEDZDA_CACHE for prepared data).", WRONG_INPUT
    return None
