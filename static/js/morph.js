// Make a push of what is shown, and not in place of it: whatever is the same stays the same element, and with it the
// focus, what somebody has selected, where they are scrolled to, and what they opened.

const KEPT = "hx-preserve"; // what stands in its place already stays as it is

const isAlike = (shown, next) => shown.nodeType === next.nodeType && shown.nodeName === next.nodeName && (shown.id ?? "") === (next.id ?? "");

function morphAttributes(shown, next) {
  for (const { name, value } of next.attributes) if (shown.getAttribute(name) !== value) shown.setAttribute(name, value);
  for (const { name } of [...shown.attributes]) {
    const isTheViewers = name === "open" && shown.localName === "details" && shown.id;
    if (!next.hasAttribute(name) && !isTheViewers) shown.removeAttribute(name);
  }
}

// A child with an id is looked for among those that are left, then in other parts; any other is the one at its place.
function morphChildren(shown, next, kept) {
  const wanted = new Set([...next.children].map((child) => child.id).filter(Boolean));
  let place = shown.firstChild;
  for (const child of [...next.childNodes]) {
    while (place?.id && !wanted.has(place.id)) place = dropped(place);
    let match = place;
    if (child.id) while (match && match.id !== child.id) match = match.nextSibling;
    match ??= kept.get(child.id);
    if (!match || !isAlike(match, child)) {
      shown.insertBefore(child, place);
      settle(child, kept);
    } else {
      if (match === place) place = place.nextSibling;
      else move(shown, match, place);
      morphNode(match, child, kept);
    }
  }
  while (place) place = dropped(place);
}

function dropped(node) {
  const { nextSibling } = node;
  node.remove();
  return nextSibling;
}

// Who can move an element without taking it out keeps its focus; one that was taken out already is put in.
const move = (parent, node, place) => (node.isConnected && parent.moveBefore ? parent.moveBefore(node, place) : parent.insertBefore(node, place));

// What was shown elsewhere takes its place in a part that is new.
function settle(part, kept) {
  for (const child of [...(part.children ?? [])]) {
    const match = kept.get(child.id);
    if (!match || match === child || !isAlike(match, child)) settle(child, kept);
    else {
      move(part, match, child);
      child.remove();
      morphNode(match, child, kept);
    }
  }
}

// What is shown already and stands in another part from now on, by its id.
function findKept(shown, next) {
  const found = [...next.querySelectorAll("[id]")].map(({ id }) => [id, document.getElementById(id)]);
  return new Map(found.filter(([, node]) => node && shown.contains(node)));
}

function morphNode(shown, next, kept) {
  if (shown.isEqualNode(next)) return;
  if (shown.nodeType !== Node.ELEMENT_NODE) {
    shown.data = next.data;
    return;
  }
  if (next.hasAttribute(KEPT) && shown.id === next.id) return;
  // A time in the viewer's zone is right as long as it is the same moment.
  if (next.localName === "time" && shown.dateTime === next.dateTime) return;
  morphAttributes(shown, next);
  morphChildren(shown, next, kept);
}

// Words that changed under a selection take its edges to their start: they go back to where they were.
export function keepingSelection(change) {
  const selection = getSelection();
  const { anchorNode, anchorOffset, focusNode, focusOffset, isCollapsed } = selection;
  change();
  if (isCollapsed || !anchorNode.isConnected || !focusNode.isConnected) return;
  const isSame = selection.anchorNode === anchorNode && selection.focusNode === focusNode;
  if (isSame && selection.anchorOffset === anchorOffset && selection.focusOffset === focusOffset) return;
  const within = (node, offset) => Math.min(offset, node.nodeType === Node.TEXT_NODE ? node.length : node.childNodes.length);
  selection.setBaseAndExtent(anchorNode, within(anchorNode, anchorOffset), focusNode, within(focusNode, focusOffset));
}

export function morph(shown, next) {
  const focused = document.activeElement;
  keepingSelection(() => morphNode(shown, next, findKept(shown, next)));
  if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
  htmx.process(shown);
}
