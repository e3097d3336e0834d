import { DeploymentRecipe } from 'cerebro/recipe';

/**
 * The recipe of original.json: puts a start script and a note of the release onto the machine before the copy starts.
 * A real one would unpack the newest package of `release_dir` here.
 */
export default class Deploy extends DeploymentRecipe {
  override async runDeploy(): Promise<void> {
    const releaseDir = String(this.options.release_dir);
    await this.remote.write(`${this.job} ${this.version ?? 'newest'} from ${releaseDir}\n`, 'release.txt');
    const { stdout } = await this.remote.run(['uname', '-sr']);
    this.logger.info({ releaseDir }, `deployed on ${this.machine.id} (${stdout.trim()})`);
  }
}
