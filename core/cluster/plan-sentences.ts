import type { Action, Plan } from '../model/plan.ts';

/** A plan, in words for people. */
export function planSentences(plan: Plan): string[] {
  const sentences = plan.actions.map(sentenceOf);
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
    case 'place-copy':
      return `start ${action.copy} on ${action.machine}: ${action.reason}`;
    case 'update-copy':
      return `restart ${action.copy} with version ${action.version}: ${action.reason}`;
    case 'stop-copy':
      return `stop ${action.copy}: ${action.reason}`;
    case 'forget-copy':
      return `forget ${action.copy}: ${action.reason}`;
    case 'forget-job':
      return `forget job "${action.job}": ${action.reason}`;
  }
}
