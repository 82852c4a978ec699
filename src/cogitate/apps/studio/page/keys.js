// Which key was pressed, and whether it is somebody's text.

// The key's name, whatever Caps Lock and the layout are: a Cyrillic or Greek letter is the one that stands at its place.
export function nameOf({ key: name, code, shiftKey }) {
  const at = /^(?:Key([A-Z])|(?:Digit|Numpad)([1-9]))$/.exec(code);
  if (name.length !== 1 || !at) return name;
  if (at[2]) return shiftKey && /[^1-9]/.test(name) ? name : at[2];
  const letter = /^[a-z]$/i.test(name) ? name : at[1];
  return shiftKey ? letter.toUpperCase() : letter.toLowerCase();
}

export function inField(target) {
  return target instanceof HTMLElement && target.matches("input, textarea, select, [contenteditable]");
}
