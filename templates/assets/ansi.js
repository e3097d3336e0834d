// Colours of terminals, as text nodes and spans: what a task writes is never markup.

const NAMES = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'];
// Escape sequences of every kind: CSI, OSC (titles and links), and the short ones.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about.
const ESCAPES = /\x1b(?:\[([0-9;:?<=>]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\|$)|[@-Z\\^_]|[ -/][0-~])/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above.
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]/g;

const PLAIN = { colour: null, bold: false, underline: false, faint: false };

/** A line as nodes. Backgrounds are left out: which pairs of colours can be read is the page's matter, not the task's. */
export function ansiNodes(line) {
  const nodes = [];
  let style = PLAIN;
  let from = 0;
  const add = (text) => {
    const clean = text.replace(CONTROLS, '');
    if (clean !== '') nodes.push(styled(clean, style));
  };
  for (const match of line.matchAll(ESCAPES)) {
    add(line.slice(from, match.index));
    from = match.index + match[0].length;
    if (match[2] === 'm') style = afterCodes(style, match[1]);
  }
  add(line.slice(from));
  return nodes;
}

/** The text alone, which is what a filter looks through. */
export function withoutAnsi(line) {
  return line.replace(ESCAPES, '').replace(CONTROLS, '');
}

function styled(text, { colour, bold, underline, faint }) {
  const names = [colour && `a-${colour}`, bold && 'a-bold', underline && 'a-underline', faint && 'a-faint'].filter(
    Boolean,
  );
  if (names.length === 0) return document.createTextNode(text);
  const span = document.createElement('span');
  span.className = names.join(' ');
  span.textContent = text;
  return span;
}

function afterCodes(style, text) {
  const codes = text.split(/[;:]/).map(Number);
  let next = style;
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i] || 0;
    if (code === 38 || code === 48) {
      const wide = codes[i + 1] === 2;
      if (code === 38) next = { ...next, colour: wide ? nearest(codes.slice(i + 2, i + 5)) : ofTable(codes[i + 2]) };
      i += wide ? 4 : 2;
    } else next = afterCode(next, code);
  }
  return next;
}

function afterCode(style, code) {
  if (code === 0) return PLAIN;
  if (code === 1) return { ...style, bold: true };
  if (code === 2) return { ...style, faint: true };
  if (code === 4) return { ...style, underline: true };
  if (code === 22) return { ...style, bold: false, faint: false };
  if (code === 24) return { ...style, underline: false };
  if (code === 39) return { ...style, colour: null };
  if (code >= 30 && code <= 37) return { ...style, colour: NAMES[code - 30] };
  if (code >= 90 && code <= 97) return { ...style, colour: NAMES[code - 90] };
  return style;
}

/** One of the 256 colours, as the nearest of the eight. */
function ofTable(index) {
  if (!(index >= 0)) return null;
  if (index < 16) return NAMES[index % 8];
  if (index >= 232) return index < 244 ? 'black' : 'white';
  const steps = index - 16;
  return nearest([Math.floor(steps / 36), Math.floor(steps / 6) % 6, steps % 6].map((step) => step * 51));
}

function nearest([red = 0, green = 0, blue = 0]) {
  const most = Math.max(red, green, blue);
  const on = (part) => (most > 0 && part > most * 0.6 ? 1 : 0);
  if (most < 60) return 'black';
  return NAMES[on(red) + 2 * on(green) + 4 * on(blue)];
}
