import type { Action, Plan } from '../../model/plan.ts';

/** A plan, in words for people. */
export function planSentences(plan: Plan): string[] {
  // What is only noted down concerns nobody.
  const noted: readonly Action['kind'][] = ['note-links', 'note-stranger'];
  const sentences = plan.actions.filter((action) => !noted.includes(action.kind)).map(sentenceOf);
  return [...sentences, ...plan.complaints.map((complaint) => `cannot: ${complaint.sentence}`)];
}

function sentenceOf(action: Action): string {
  switch (action.kind) {
    case 'order-machine': {
      const price = action.type.price === undefined ? '' : `, ${action.type.price} an hour`;
      return `order machine ${action.machine} (${action.type.name}: ${action.type.cpu} cores, ${action.type.mem} MB${price}): ${action.reason}`;
    }
    case 'machine-state':
      return `machine ${action.machine} becomes ${action.to}: ${action.reason}`;
    case 'uncordon':
      return `machine ${action.machine} may have copies again: ${action.reason}`;
    case 'place-copy':
      return `start ${action.copy} on ${action.machine}: ${action.reason}`;
    case 'update-copy':
      return `restart ${action.copy} with version ${action.version}: ${action.reason}`;
    case 'restart-copy':
      return `restart ${action.copy}: ${action.reason}`;
    case 'note-links':
      return `note what ${action.copy} runs beside`;
    case 'copy-outcome':
      return `${action.copy} has ${action.outcome}: ${action.reason}`;
    case 'roll-done':
      return `version ${action.version} of "${action.job}" is rolled out: ${action.reason}`;
    case 'roll-failed': {
      const back = action.revertTo === null ? '' : `, back to version ${action.revertTo}`;
      return `version ${action.version} of "${action.job}" has failed${back}: ${action.reason}`;
    }
    case 'begin-run':
      return `${action.run.state === 'skipped' ? 'skip' : 'begin'} run ${action.run.id} of "${action.job}": ${action.reason}`;
    case 'end-run':
      return `run ${action.run} of "${action.job}" is ${action.state}: ${action.reason}`;
    case 'stop-copy':
      return `stop ${action.copy}: ${action.reason}`;
    case 'forget-copy':
      return `forget ${action.copy}: ${action.reason}`;
    case 'forget-job':
      return `forget job "${action.job}": ${action.reason}`;
    case 'take-copy':
      return `take ${action.copy} on ${action.machine} as it is: ${action.reason}`;
    case 'note-stranger':
      return `note ${action.machine}: ${action.reason}`;
  }
}
