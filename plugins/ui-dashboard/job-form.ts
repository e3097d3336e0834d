import type { ApplyResult, ClusterApi } from '../../core/contracts/cluster-api.ts';
import type { PageAnswer, PageRequest } from '../../core/contracts/ui.ts';
import { CerebroError } from '../../core/errors.ts';
import { changeSentence } from './words.ts';

/** What messages call the text; they begin with it and the number of a line. */
const SOURCE = 'the form';
const STATUS: Record<string, number> = { invalid: 400, conflict: 409 };
/** More sentences than that are counted, not shown. */
const SHOWN_PLAN = 200;
/** Lines of the text box: as many as the text has, within reason. */
const FEWEST_LINES = 8;
const MOST_LINES = 40;

/** The form in which a job file is written, with what came of it. `jobForm` in templates/macros.njk shows it. */
export interface JobForm {
  text: string;
  lines: number;
  /** When the job that its writer has seen was last changed; empty for a new one. */
  basis: string;
  /** Somebody else changed the job since then. */
  overtaken: boolean;
  problems: readonly string[];
  plan: { changes: string[]; sentences: string[]; more: number; price: ApplyResult['price'] } | null;
}

export function emptyForm(text: string, basis: string): JobForm {
  const lines = Math.min(MOST_LINES, Math.max(FEWEST_LINES, text.split('\n').length));
  return { text, lines, basis, overtaken: false, problems: [], plan: null };
}

/** What is to be done with a form that was sent: go elsewhere, or show it again with its text kept. */
export type FormOutcome = { answer: PageAnswer } | { form: JobForm; status: number };

/**
 * Applies a job form, or shows what it would do. `basis` is when the job was last changed, '' where there is none yet:
 * a text that was written against an older state is refused once, so that nobody overwrites what he has not seen.
 */
export async function takeJobForm(request: PageRequest, api: ClusterApi, basis: string): Promise<FormOutcome> {
  const text = (request.form.get('text') ?? '').replaceAll('\r\n', '\n');
  const dryRun = request.form.get('do') !== 'apply';
  const seen = basis === '' ? '' : (request.form.get('basis') ?? '');
  const overtaken = seen !== basis;
  if (overtaken && !dryRun) {
    const problem =
      'Somebody else changed this job after you opened the form. Compare with "Show the plan"; applying again takes your text.';
    return { form: { ...emptyForm(text, basis), problems: [problem] }, status: 409 };
  }
  // A plan shows nothing of what the other one wrote: who asks for it has still seen only the older state.
  const form = { ...emptyForm(text, seen), overtaken };
  try {
    // Whoever changes it between this look and the change is not overwritten either.
    const ifUpdatedAt = dryRun || basis === '' ? undefined : basis;
    const result = await api.apply(text, { source: SOURCE, dryRun, by: request.by, ifUpdatedAt });
    if (!dryRun) {
      const [only, ...others] = result.changes;
      const redirect = only && others.length === 0 ? `/jobs/${encodeURIComponent(only.job)}` : '/';
      return { answer: { redirect, notice: result.changes.map((change) => changeSentence(change, true)).join(' ') } };
    }
    const plan = {
      changes: result.changes.map((change) => changeSentence(change, false)),
      sentences: result.plan.slice(0, SHOWN_PLAN),
      more: Math.max(0, result.plan.length - SHOWN_PLAN),
      price: result.price,
    };
    return { form: { ...form, plan }, status: 200 };
  } catch (error) {
    // What was typed is worth more than a page of its own for the error: whatever Cerebro says is shown beside the text.
    if (!(error instanceof CerebroError) || error.code === 'internal') throw error;
    return { form: { ...form, problems: problemsOf(error) }, status: STATUS[error.code] ?? 503 };
  }
}

function problemsOf(error: CerebroError): readonly string[] {
  const { details } = error;
  if (typeof details === 'object' && details !== null && 'problems' in details && Array.isArray(details.problems)) {
    const problems = details.problems.filter((problem) => typeof problem === 'string');
    if (problems.length > 0) return problems.map(atLine);
  }
  return [error.message];
}

/** There is but one text on the page: "the form:3: cpu …" is "line 3: cpu …". */
function atLine(problem: string): string {
  const [, line, rest] = new RegExp(`^${SOURCE}:(\\d+): (.*)$`, 's').exec(problem) ?? [];
  return line === undefined || rest === undefined ? problem : `line ${line}: ${rest}`;
}
