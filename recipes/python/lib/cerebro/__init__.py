"""What a recipe in Python imports: the base class, and the same hands as functions.

    from cerebro import DeploymentRecipe

    class Deploy(DeploymentRecipe):
        def run_deploy(self):
            self.put("release.tar.gz", "/opt/startup/releases/")
            self.sudo("tar -xzf /opt/startup/releases/release.tar.gz -C /opt/startup")

Commands run on the machine, through the connection of the cluster sitter. Files are read and written on the cluster sitter's host.
"""

from cerebro.recipe import (  # noqa: F401
    CommandFailed,
    DeploymentRecipe,
    RemoteError,
    get,
    logger,
    put,
    run,
    sudo,
)
