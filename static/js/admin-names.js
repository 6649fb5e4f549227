// Names for what Django's admin leaves without one, as whoever hears the page has to know what a field is.

const give = (selector, name, value) => {
  for (const each of document.querySelectorAll(selector)) {
    const found = typeof value === "function" ? value(each) : value;
    if (found && !each.hasAttribute(name)) each.setAttribute(name, found);
  }
};

const words = (element) => element?.textContent.trim().replace(/:$/, "");
const rowOf = (field) => field.closest(".form-row, td, fieldset, form");
const moment = (kind) => (field) => `${words(rowOf(field)?.querySelector("legend, label")) ?? ""} ${kind}`.trim();

// A list that is searched while one types has its label at the field that it stands for; what is chosen may be nothing.
function nameChoice(choice) {
  const select = choice.closest(".related-widget-wrapper, .form-row")?.querySelector("select");
  const name = words(select?.labels[0]);
  if (!name || choice.getAttribute("aria-label") === name) return;
  choice.removeAttribute("aria-labelledby");
  choice.setAttribute("aria-label", name);
}

function nameAll() {
  give("#searchbar", "aria-label", "Search");
  give(".vDateField", "aria-label", (field) => (field.labels.length ? "" : moment("date")(field)));
  give(".vTimeField", "aria-label", (field) => (field.labels.length ? "" : moment("time")(field)));
  give(".help-tooltip[aria-label]", "role", "img");
  give(".results, .evidence-table, .evidence pre", "tabindex", "0"); // it scrolls, and not everybody has a mouse
  document.querySelectorAll(".select2-selection, .select2-selection__rendered").forEach(nameChoice);
}

// Django's own scripts make fields after this one has run, and more of them on demand.
nameAll();
new MutationObserver(nameAll).observe(document.body, { childList: true, subtree: true });
