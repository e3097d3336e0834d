"""The name that the original's recipes import from."""

from cerebro.recipe import DeploymentRecipe  # noqa: F401
