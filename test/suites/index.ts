export { type DnsUnderTest, dnsProviderSuite, type Look } from './dns-provider-suite.ts';
export { limitEnforcerSuite } from './limit-enforcer-suite.ts';
export { machineProviderSuite, type ProviderUnderTest } from './machine-provider-suite.ts';
export { type NotifierHarness, notifierSuite } from './notifier-suite.ts';
export { type LoaderUnderTest, recipeLoaderSuite } from './recipe-loader-suite.ts';
export { type RemoteUnderTest, remoteSuite } from './remote-suite.ts';
export { stateStoreSuite } from './state-store-suite.ts';
export type { Assertions, Case, Suite } from './suite.ts';
