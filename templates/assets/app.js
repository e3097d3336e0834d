// Keeps an open page up to date without a reload. Every page works without this file; it is then as old as its last load.

const LIVE = 'main[data-live]';
/** Between two refreshes: a busy cluster changes more often than anyone reads. */
const PAUSE_MS = 1000;
const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 10_000;
const LOAD_MS = 10_000;
const LOST = 'Connection lost; trying again…';

let source = null;
let retryTimer = null;
let retryMs = FIRST_RETRY_MS;
let loading = false;
let changedMeanwhile = false;

const live = () => document.querySelector(LIVE) !== null;

function say(text) {
  const line = document.getElementById('connection');
  if (line && line.textContent !== text) line.textContent = text;
}

/** A hidden page holds no connection: browsers allow six to one host, and tabs would use them up. */
function connect() {
  if (source || document.hidden || !live()) return;
  source = new EventSource('/live');
  // What changed between the making of the page and this moment was not told.
  source.addEventListener('open', refresh);
  source.addEventListener('change', refresh);
  source.addEventListener('error', lost);
}

function disconnect() {
  source?.close();
  source = null;
  clearTimeout(retryTimer);
  retryTimer = null;
}

function lost() {
  disconnect();
  if (document.hidden || !live()) return;
  // The first break is not told: a browser that leaves the page breaks the connection too.
  if (retryMs > FIRST_RETRY_MS) say(LOST);
  retryTimer = setTimeout(retry, retryMs);
  retryMs = Math.min(LONGEST_RETRY_MS, retryMs * 2);
}

/** Loads first: only a page, not an event stream, tells that the session has ended. */
function retry() {
  retryTimer = null;
  void refresh();
}

/**
 * Brings the page up to date, and sees to it that it follows. One at a time; changes that come meanwhile make one more round. A
 * stream that broke meanwhile is opened at its end: the retry that was to do it found this one under way, and is over.
 */
async function refresh() {
  if (loading) {
    changedMeanwhile = true;
    return;
  }
  loading = true;
  try {
    do {
      changedMeanwhile = false;
      if (document.hidden || !live()) return;
      await load();
      retryMs = FIRST_RETRY_MS;
      say('');
      if (!live()) disconnect();
      await new Promise((done) => setTimeout(done, PAUSE_MS));
    } while (changedMeanwhile);
    if (retryTimer === null) connect();
  } catch {
    lost();
  } finally {
    loading = false;
  }
}

async function load() {
  const response = await fetch(location.pathname + location.search, {
    headers: { accept: 'text/html' },
    signal: AbortSignal.timeout(LOAD_MS),
  });
  if (response.redirected && new URL(response.url).pathname === '/signin') {
    // Where it leads back to is this page as it is loaded.
    const { pathname, search } = new URL(response.url);
    location.assign(pathname + search);
    return;
  }
  // A page is swapped in whatever its status: that a copy is gone is news too. A daemon that starts answers in JSON.
  if (!response.headers.get('content-type')?.includes('text/html')) throw new Error('not a page');
  const text = await response.text();
  const main = document.querySelector(LIVE);
  if (!main || document.hidden) return;
  for (const form of main.querySelectorAll('form[data-keep]')) form.toggleAttribute('hx-morph-skip', inUse(form));
  await window.htmx.swap({ text, target: main, sourceElement: main, select: 'main', swap: 'outerMorph' });
}

/** Whether somebody is in this form, or left something in it that was not sent. */
function inUse(form) {
  return form.contains(document.activeElement) || [...form.elements].some(edited);
}

function edited(field) {
  if (field instanceof HTMLSelectElement) {
    const preset = [...field.options].findIndex((option) => option.defaultSelected);
    return field.selectedIndex !== Math.max(0, preset);
  }
  if (field instanceof HTMLInputElement && field.type === 'checkbox') return field.checked !== field.defaultChecked;
  return 'defaultValue' in field && field.value !== field.defaultValue;
}

/** The sentence about what was done is shown once, not again with each reload. */
function forgetNotice() {
  const url = new URL(location.href);
  if (!url.searchParams.has('notice')) return;
  url.searchParams.delete('notice');
  history.replaceState(null, '', url);
}

/** `/` leads to the search field, from anywhere but a field. */
function searchByKey(event) {
  if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target instanceof Element && event.target.closest('input, textarea, select, [contenteditable]')) return;
  const field = document.getElementById('search');
  if (!field) return;
  event.preventDefault();
  field.focus();
  field.select();
}

forgetNotice();
document.addEventListener('keydown', searchByKey);
document.addEventListener('visibilitychange', () => {
  if (document.hidden) disconnect();
  else connect();
});
connect();
