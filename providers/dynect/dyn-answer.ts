import { z } from 'zod';

const message = z.object({
  INFO: z.string().catch(''),
  ERR_CD: z.string().nullish().catch(null),
  LVL: z.string().catch(''),
});

const envelope = z.object({
  status: z.string(),
  data: z.unknown(),
  job_id: z.number().optional(),
  msgs: z.array(message).nullish().catch([]),
});

/** What an answer comes to. */
export type DynAnswer =
  | { kind: 'ok'; data: unknown }
  /** It goes on as a job, to be asked for. */
  | { kind: 'job'; path: string }
  /** The session is over, and with it what was not published. */
  | { kind: 'session-over'; info: string }
  /** The zone or the session does something else just now. */
  | { kind: 'busy'; info: string }
  | { kind: 'rate-limit'; info: string }
  | { kind: 'absent'; info: string }
  | { kind: 'denied'; info: string }
  | { kind: 'invalid'; info: string }
  | { kind: 'failed'; info: string };

const SESSION_OVER =
  /^login: (Bad or expired credentials|inactivity logout|IP address does not match)|Auth-Token HTTP header must be set/i;
const BUSY = /Operation blocked by current task|already has a job running/i;
const JOB_PATH = /^\/REST\/Job\/(\d+)\/?$/;
const BY_CODE: Readonly<Record<string, Exclude<DynAnswer['kind'], 'ok' | 'job'>>> = {
  RATE_LIMIT_EXCEEDED: 'rate-limit',
  NOT_FOUND: 'absent',
  PERMISSION_DENIED: 'denied',
  INVALID_DATA: 'invalid',
  MISSING_DATA: 'invalid',
  INVALID_REQUEST: 'invalid',
  INVALID_VERSION: 'invalid',
  DEPRECATED_REQUEST: 'invalid',
  TARGET_EXISTS: 'invalid',
};

/**
 * Reads an answer of the API. The HTTP code alone says little: failures come with 200, 400 and 404, and some of them inside an
 * array of one; a request that takes over five seconds is answered with 307 and the path of its job.
 */
export function readDynAnswer(httpStatus: number, location: string | undefined, body: string): DynAnswer {
  if (httpStatus === 429) return { kind: 'rate-limit', info: 'too many requests' };
  if (httpStatus === 307) return jobAt(location);
  const parsed = envelope.safeParse(unwrapped(jsonOf(body)));
  if (!parsed.success)
    return { kind: 'failed', info: `an answer that is none of the API's, with HTTP code ${httpStatus}` };
  const { status, data, job_id: jobId } = parsed.data;
  if (status === 'success') return { kind: 'ok', data };
  if (status === 'incomplete') return jobAt(jobId === undefined ? location : `/REST/Job/${jobId}`);
  const msgs = parsed.data.msgs ?? [];
  const errors = msgs.filter((msg) => msg.LVL === 'ERROR' || msg.LVL === 'FATAL');
  const info = (errors.length > 0 ? errors : msgs).map((msg) => msg.INFO).join('; ') || `status "${status}"`;
  if (msgs.some((msg) => SESSION_OVER.test(msg.INFO)) || httpStatus === 401) return { kind: 'session-over', info };
  if (status === 'running' || msgs.some((msg) => BUSY.test(msg.INFO))) return { kind: 'busy', info };
  const code = errors.find((msg) => msg.ERR_CD)?.ERR_CD ?? '';
  return { kind: BY_CODE[code] ?? 'failed', info: code === '' ? info : `${info} (${code})` };
}

/** What a job that was asked for had as its own answer: the look-up may succeed where the job did not. */
export function answerOfJob(answer: DynAnswer): DynAnswer {
  if (answer.kind !== 'ok') return answer;
  const inner = envelope.safeParse(unwrapped(answer.data));
  return inner.success && inner.data.msgs !== undefined
    ? readDynAnswer(200, undefined, JSON.stringify(inner.data))
    : answer;
}

/** Only a job of this API is followed: the token goes with the request. */
function jobAt(location: string | undefined): DynAnswer {
  const id = JOB_PATH.exec(location ?? '')?.[1];
  return id === undefined
    ? { kind: 'failed', info: 'a redirection that is no job' }
    : { kind: 'job', path: `Job/${id}/` };
}

function unwrapped(json: unknown): unknown {
  return Array.isArray(json) && json.length === 1 ? json[0] : json;
}

function jsonOf(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
