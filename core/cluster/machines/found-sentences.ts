import type { SurveyedMachine } from './fleet-survey.ts';

/** What is to be said of a machine that no record of this cluster knows, and how it could be had. */
export function foundSentences({ found, tasks, problem }: SurveyedMachine, ownCluster: string): string[] {
  const { machineId, zone, clusterId } = found;
  const ours = clusterId === ownCluster;
  const whose = ours
    ? 'bears the tag of this cluster, and was never ordered from this store'
    : `belongs to the cluster ${clusterId}, not to this one`;
  const how = ours ? 'cerebro adopt' : `cerebro adopt --cluster ${clusterId}`;
  if (problem !== null)
    return [`${machineId} in ${zone} ${whose}; it is left alone`, `it cannot be adopted now: ${problem}`];
  return [`${machineId} in ${zone} ${whose}; it is left alone, with ${tasks.length} tasks`, `${how} takes it over`];
}
