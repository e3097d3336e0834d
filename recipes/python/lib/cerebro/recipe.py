"""The base class of recipes, with the names that it had in the original."""

import logging
import os

#: What a recipe says with it stands on the copy's timeline.
logger = logging.getLogger("cerebro.recipe")

_current = None

# bash where there is one: recipes of old are written for it.
_SHELL = 'if [ -x /bin/bash ]; then exec /bin/bash -c "$1"; else exec /bin/sh -c "$1"; fi'


class RemoteError(Exception):
    """The machine could not be reached, or what was asked for could not be done there."""

    def __init__(self, code, message):
        Exception.__init__(self, message)
        self.code = code


class CommandFailed(RemoteError):
    """A command that was run with check=True ended with another status than 0."""


class DeploymentRecipe:
    """Prepares one machine for one copy of a job. Subclasses have run_deploy(self), or run_deploy(self, options).

    Returning False, or raising, is a failure: it is shown with its traceback, and the recipe is run again later.
    """

    def __init__(self, channel, context):
        self._channel = channel
        self.logger = logger
        #: recipe_options of the job.
        self.options = context["options"]
        #: The machine's address.
        self.hostname = context["hostname"]
        #: The copy's DNS name, under which it is found once it runs (recipe_options.dns_hostname goes before it); None: it gets none.
        self.dns_hostname = context["dns_hostname"]
        self.version = context["version"]
        self.job = context["job"]
        self.copy = context["copy"]
        self.machine = context["machine"]
        self.zone = context["zone"]

    def run_deploy(self):
        raise NotImplementedError("%s has no run_deploy" % type(self).__name__)

    def run(self, command, check=False, timeout=None, cwd=None, env=None, input=None):
        """Runs a command on the machine: (lines of its output, status).

        A text is a line for the shell; a list is a program with its arguments, which arrive as they are. timeout in seconds.
        """
        return self._run(command, False, check, timeout, cwd, env, input)

    def sudo(self, command, check=False, timeout=None, cwd=None, env=None, input=None):
        """As run, as root."""
        return self._run(command, True, check, timeout, cwd, env, input)

    def put(self, local, remote, mode=None, owner=None):
        """Copies a file to the machine, unless it is there already. True: something was changed.

        As ever, a remote path that does not end in the file's own name is the beginning of one: "/opt/" or "/opt/old-".
        """
        if os.path.basename(local) != os.path.basename(remote):
            remote += os.path.basename(local)
        return self._call("put", local=os.path.abspath(local), remote=remote, mode=mode, owner=owner)

    def put_folder(self, local, remote, owner=None):
        """Copies a folder; what is there already is not sent. How many files were changed."""
        return self._call("put_folder", local=os.path.abspath(local), remote=remote, owner=owner)

    def write(self, text, remote, mode=None, owner=None):
        """Writes text into a file on the machine."""
        self._call("write", text=text, remote=remote, mode=mode, owner=owner)

    def get(self, remote, local):
        """Copies a file from the machine."""
        self._call("get", remote=remote, local=os.path.abspath(local))

    def progress(self, step, percent=None):
        """Shows what is done now, and how much of that (0 to 100), for as long as the recipe runs. The logger's words stay."""
        self._channel.send(progress=step, percent=percent)

    def step(self, name, work):
        """Calls work() once: when the recipe is run again after a later failure, it is passed over."""
        if self._call("step_done", step=name, set=False):
            self.logger.info("%s: done before", name)
            return
        self.logger.info("%s", name)
        self.progress(name)
        work()
        self._call("step_done", step=name, set=True)

    def _run(self, command, sudo, check, timeout, cwd, env, input):
        argv = ["/bin/sh", "-c", _SHELL, "sh", command] if isinstance(command, str) else [str(word) for word in command]
        result = self._call("run", argv=argv, sudo=sudo, timeout=timeout, cwd=cwd, env=env, input=input)
        status = result["code"]
        if check and status != 0:
            said = (result["stderr"].strip() or result["stdout"].strip())[-500:]
            raise CommandFailed("invalid", "%s ended with status %s: %s" % (command, status, said or "it said nothing"))
        return result["stdout"].splitlines(True), status

    def _call(self, name, **arguments):
        result, error = self._channel.call(name, **arguments)
        if error is not None:
            raise RemoteError(error["code"], error["message"])
        return result


class FunctionRecipe(DeploymentRecipe):
    """For a module that has run_deploy(options) and no class."""

    def __init__(self, channel, context, function):
        DeploymentRecipe.__init__(self, channel, context)
        self._function = function

    def run_deploy(self):
        return self._function(self.options)


def set_current(recipe):
    global _current
    _current = recipe


def _hands():
    if _current is None:
        raise RuntimeError("only a recipe that runs has a machine: call this from run_deploy")
    return _current


def run(command, **options):
    return _hands().run(command, **options)


def sudo(command, **options):
    return _hands().sudo(command, **options)


def put(local, remote, **options):
    return _hands().put(local, remote, **options)


def get(remote, local):
    return _hands().get(remote, local)
