// The upload form: what is too large is not sent, the viewer's own time zone is the likely one, and reading takes long.

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

const files = form.elements.files;
files.addEventListener("change", () => {
  const bytes = [...files.files].reduce((sum, file) => sum + file.size, 0);
  files.setCustomValidity(bytes > Number(files.dataset.mostBytes) ? files.dataset.tooLarge : "");
  files.reportValidity();
});

form.addEventListener("submit", () => setBusy(true));
addEventListener("pageshow", () => setBusy(false)); // also when one comes back with the browser's own button
