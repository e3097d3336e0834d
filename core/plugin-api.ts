/** What `cerebro/plugin` is to those who write plugins. */

export { z } from 'zod';
export type { Clock, Timer } from './contracts/clock.ts';
export type * from './contracts/cluster-api.ts';
export * from './contracts/dns-batch.ts';
export type * from './contracts/dns-provider.ts';
export type * from './contracts/identity-issuer.ts';
export type * from './contracts/limit-enforcer.ts';
export type { Logger } from './contracts/logger.ts';
export type * from './contracts/machine-api.ts';
export type * from './contracts/machine-provider.ts';
export type * from './contracts/notifier.ts';
export type * from './contracts/process-table.ts';
export type { Recipe, RecipeContext, RecipeFactory, RecipeLoader, RecipeSteps } from './contracts/recipe.ts';
export { DeploymentRecipe } from './contracts/recipe.ts';
export type * from './contracts/remote.ts';
export type * from './contracts/state-store.ts';
export type * from './contracts/ui.ts';
export { definePlugin } from './define-plugin.ts';
export { CerebroError, type ErrorCode } from './errors.ts';
export type { MachineLogin } from './model/machine-login.ts';
export type { MachineType } from './model/plan.ts';
export { IDENTITY_FILE, type TlsIdentity } from './model/tls-identity.ts';
