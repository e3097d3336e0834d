"""From a dotted name to what makes the recipe."""

import importlib
import inspect
import sys

from cerebro.recipe import DeploymentRecipe, FunctionRecipe


class NoRecipe(Exception):
    """The name is no recipe; the message says why."""


def find_recipe(name):
    """(make, file): make(channel, context) is the recipe. Raises NoRecipe, and whatever the module raises when it is imported."""
    if sys.version_info < (3, 9):
        raise NoRecipe("this is Python %s; recipes need 3.9 or later" % sys.version.split()[0])
    module, rest = _import(name)
    file = getattr(module, "__file__", None) or ""
    if rest is not None:
        found = getattr(module, rest, None)
        if not _is_recipe(found):
            raise NoRecipe("%s has no class %s with run_deploy" % (module.__name__, rest))
        return found, file
    # Of its own classes: those that it has imported are other modules' recipes.
    classes = [found for found in vars(module).values() if _is_recipe(found) and found.__module__ == module.__name__]
    if len(classes) == 1:
        return classes[0], file
    if len(classes) > 1:
        names = ", ".join(sorted(found.__name__ for found in classes))
        raise NoRecipe("%s has several recipes (%s); name one, like %s.%s" % (name, names, name, classes[0].__name__))
    function = getattr(module, "run_deploy", None)
    if callable(function):
        return lambda channel, context: FunctionRecipe(channel, context, function), file
    raise NoRecipe("%s has neither a subclass of cerebro.DeploymentRecipe nor a function run_deploy(options)" % name)


def call_run_deploy(recipe):
    """run_deploy() or run_deploy(options), as it was written."""
    wanted = [
        parameter
        for parameter in inspect.signature(recipe.run_deploy).parameters.values()
        if parameter.default is parameter.empty and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    return recipe.run_deploy(recipe.options) if wanted else recipe.run_deploy()


def _import(name):
    """(module, None), or (module, last word) when the last word is something in a module."""
    try:
        return importlib.import_module(name), None
    except ModuleNotFoundError as error:
        head, _, last = name.rpartition(".")
        if error.name == name:
            pass  # the last word may be a class
        elif error.name is not None and (name + ".").startswith(error.name + "."):
            raise NoRecipe("there is no Python module %s in %s" % (error.name, ", ".join(sys.path[1:4]))) from None
        else:
            raise
    try:
        return importlib.import_module(head), last
    except ModuleNotFoundError as error:
        if error.name is None or not (head + ".").startswith(error.name + "."):
            raise
        raise NoRecipe("there is no Python module %s" % error.name) from None


def _is_recipe(value):
    return inspect.isclass(value) and issubclass(value, DeploymentRecipe) and value.run_deploy is not DeploymentRecipe.run_deploy
