// Make a push of what is shown, and not in place of it: whatever is the same stays the same element, and with it the
// focus, what somebody has selected, and where they are scrolled to.

// What is to be kept is told by its name. A time in the viewer's zone is right as long as it is the same moment.
function isToBeMorphed(shown, next) {
  if (next.nodeType !== Node.ELEMENT_NODE) return true;
  if (next.hasAttribute("hx-preserve")) return shown.id !== next.id;
  return !(next.localName === "time" && shown.dateTime === next.dateTime);
}

// Words that changed under a selection take its edges to their start: they go back to where they were.
function keepingSelection(change) {
  const selection = getSelection();
  const { anchorNode, anchorOffset, focusNode, focusOffset, isCollapsed } = selection;
  change();
  if (isCollapsed || !anchorNode.isConnected || !focusNode.isConnected) return;
  if (selection.anchorOffset === anchorOffset && selection.focusOffset === focusOffset) return;
  const within = (node, offset) => Math.min(offset, node.nodeType === Node.TEXT_NODE ? node.length : node.childNodes.length);
  selection.setBaseAndExtent(anchorNode, within(anchorNode, anchorOffset), focusNode, within(focusNode, focusOffset));
}

export function morph(shown, next) {
  keepingSelection(() => Idiomorph.morph(shown, next, { callbacks: { beforeNodeMorphed: isToBeMorphed } }));
  htmx.process(shown);
}
