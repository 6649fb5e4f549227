// The upload form: the viewer's own time zone is the likely one, and reading a long recording takes some seconds.

const form = document.getElementById("recording-upload");
const button = form.querySelector("[data-busy]");
const words = button.textContent;
const zone = form.elements.zone;

function setBusy(busy) {
  button.disabled = busy;
  button.textContent = busy ? button.dataset.busy : words;
}

const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
const isUntouched = zone.value === "UTC" && !form.querySelector(".form-error");
if (isUntouched && [...zone.options].some((option) => option.value === own)) zone.value = own;

form.addEventListener("submit", () => setBusy(true));
addEventListener("pageshow", () => setBusy(false)); // also when one comes back with the browser's own button
