// Appends to a log what is written to it. Without this file the page shows the log as it was when it was loaded.

/** Older text goes when there is more than this on the page: a log may write for days. */
const MAX_CHARACTERS = 1_000_000;
const RETRY_MS = 1000;
/** This near to the end, one is at the end and wants to stay there. */
const NEAR_PX = 40;

const log = document.querySelector('pre[data-follow]');
const state = document.getElementById('log-state');
let abort = null;

function atEnd() {
  return log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_PX;
}

function append(text) {
  if (text === '') return;
  const stay = atEnd();
  state.textContent = '';
  log.append(text);
  let size = log.textContent.length;
  while (size > MAX_CHARACTERS && log.childNodes.length > 1) {
    size -= log.firstChild.textContent.length;
    log.firstChild.remove();
  }
  if (stay) log.scrollTop = log.scrollHeight;
}

async function follow() {
  abort = new AbortController();
  const response = await fetch(log.dataset.follow, { signal: abort.signal });
  if (!response.ok) throw new Error(`status ${response.status}`);
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Error('the log ended');
    append(decoder.decode(value, { stream: true }));
  }
}

/** Where it goes on is known to the server alone: a new run may have begun meanwhile. So the page is loaded anew. */
async function comeBack() {
  state.textContent = 'Connection lost; trying again…';
  for (;;) {
    await new Promise((done) => setTimeout(done, RETRY_MS));
    try {
      const answer = await fetch(location.href, { method: 'GET', signal: AbortSignal.timeout(10_000) });
      if (answer.headers.get('content-type')?.includes('text/html')) return location.reload();
    } catch {
      // It is not back yet.
    }
  }
}

if (log) {
  log.scrollTop = log.scrollHeight;
  let left = false;
  // A hidden page holds no connection: browsers allow six to one host, and tabs would use them up.
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) {
      left = true;
      abort?.abort();
    } else if (left) location.reload();
  });
  follow().catch(() => {
    if (!left) return comeBack();
  });
}
