import { z } from 'zod';
import { DeploymentRecipe } from '../../core/contracts/recipe.ts';

/** `recipe_options` of the built-in `script` recipe. */
export const scriptOptions = z.strictObject({
  /** Run by /bin/sh on the machine, in the user's home there. */
  script: z.string().min(1),
  /** "$1", "$2" … of the script; they arrive as they are. */
  args: z.array(z.string()).default([]),
  env: z.record(z.string(), z.string()).default({}),
  /** Seconds. */
  timeout: z.number().positive().default(300),
});

/** Runs a shell script on the machine before the copy starts. It fails when the script does. */
export class ScriptRecipe extends DeploymentRecipe {
  async runDeploy(): Promise<void> {
    const { script, args, env, timeout } = scriptOptions.parse(this.options);
    await this.remote.run(['/bin/sh', '-eu', '-s', '--', ...args], {
      input: script,
      timeout,
      env: {
        JOB: this.job,
        COPY: this.copy,
        VERSION: this.version ?? '',
        MACHINE: this.machine.id,
        ZONE: this.machine.zone,
        DNS_NAME: this.dnsName ?? '',
        ...env,
      },
      onLine: (stream, line) => this.logger.info({ stream }, line),
    });
  }
}
