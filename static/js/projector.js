// The list for a projector, without anything to press; whether it is so is in the address and nowhere else.

export function setProjector(isOn) {
  const root = document.documentElement;
  if (root.hasAttribute("data-projector") === isOn) return;
  const address = new URL(location.href);
  if (isOn) address.searchParams.set("projector", "1");
  else address.searchParams.delete("projector");
  history.replaceState(history.state, "", address);
  root.toggleAttribute("data-projector", isOn);
}

document.getElementById("projector").addEventListener("click", (event) => {
  event.preventDefault();
  setProjector(true);
});
document.getElementById("leave-projector").addEventListener("click", (event) => {
  event.preventDefault();
  setProjector(false);
});
