// One key a verdict: the buttons of the desk say theirs. Not while somebody writes, nor with a modifier held.
const isWriting = (target) => target.closest?.("input, textarea, select, [contenteditable]");

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const note = document.getElementById("desk-note");
  if (isWriting(event.target)) {
    if (event.key === "Escape" || event.key === "Enter") {
      event.preventDefault();
      event.target.blur();
    }
    return;
  }
  if (event.key === "n" && note) {
    event.preventDefault();
    note.focus();
    return;
  }
  const button = [...document.querySelectorAll("#desk-case [data-key]")].find((each) => each.dataset.key === event.key);
  if (!button) return;
  htmx.process(button.form); // one that has just come is not htmx's yet, and would be sent as a page of its own
  button.click();
});
