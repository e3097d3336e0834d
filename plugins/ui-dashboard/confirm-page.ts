import type { ClusterApi } from '../../core/contracts/cluster-api.ts';
import type { PageAnswer } from '../../core/contracts/ui.ts';
import { CerebroError } from '../../core/errors.ts';

/** More sentences than that are counted, not shown. */
const SHOWN_PLAN = 100;

/** What would be done, or the sentence why that cannot be said. */
export interface PlanView {
  sentences: string[];
  more: number;
  price: { before: number; after: number } | null;
  problem: string | null;
}

/** A question before something that can break something: what it would do, and the button that does it. */
export interface Confirmation {
  title: string;
  /** What the order means, in a sentence. */
  lead: string;
  plan: PlanView;
  /** Where the form goes, what its button says, and where who changes his mind goes. */
  action: string;
  button: string;
  back: string;
  hidden?: Record<string, string>;
  /** Words beside a box that has to be ticked, where a button alone is too easily pressed. */
  tick?: string;
  /** For a drain: the field for seconds. */
  deadline?: boolean;
}

export function confirmPage(confirmation: Confirmation): PageAnswer {
  return { template: 'confirm.njk', title: confirmation.title, data: { ...confirmation } };
}

type Wish = Parameters<ClusterApi['plan']>[0];

/** The plan for a wish. That there is none to be had keeps nobody from acting: he is told so. */
export async function planFor(wish: Partial<Wish>, api: Pick<ClusterApi, 'plan'>): Promise<PlanView> {
  try {
    const { plan, price } = await api.plan({ text: '', source: 'the plan', lost: [], drained: [], ...wish });
    const more = Math.max(0, plan.length - SHOWN_PLAN);
    return { sentences: plan.slice(0, SHOWN_PLAN), more, price, problem: null };
  } catch (error) {
    if (!(error instanceof CerebroError) || error.code === 'internal') throw error;
    return { sentences: [], more: 0, price: null, problem: error.message };
  }
}
