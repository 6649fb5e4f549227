/** The page that tries a beacon: its token stands behind the # of the address, which no server is told. */

import { connect } from "./index.js";

const token = location.hash.slice(1);
const status = document.getElementById("status");
const controls = document.getElementById("controls");
const agreement = document.getElementById("agreement");
const counts = { reaction: 0, chat: 0 };

function say(text) {
  status.textContent = text;
}

function begin() {
  const beacon = connect({ token, url: location.origin });
  for (const type of ["reaction", "chat"]) {
    document.getElementById(type).addEventListener("click", () => {
      beacon[type]();
      counts[type] += 1;
      say(`Told so far: applause ${counts.reaction}, chat lines ${counts.chat}.`);
    });
  }
  document.getElementById("another").addEventListener("click", () => open(location.href, "_blank", "noopener"));
  document.getElementById("leave").addEventListener("click", () => {
    beacon.leave();
    controls.hidden = agreement.hidden = true;
    say("You have left. Load the page again to come back as somebody new.");
  });
  document.getElementById("consent").addEventListener("change", (event) => beacon.consent(event.target.checked));
  controls.hidden = agreement.hidden = false;
  const isPrivate = navigator.globalPrivacyControl === true;
  document.getElementById("consent").disabled = isPrivate;
  say(isPrivate ? "Your browser asks that no more is known than that you are here." : "You are here, and are seen to look.");
}

addEventListener("hashchange", () => location.reload());
token ? begin() : say("There is no token in the address. Make one on the page of a session, under Beacon.");
