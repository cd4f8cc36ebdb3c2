/* Shows a page that tells of work under way anew every two seconds, until the work has ended.
   Only its content is put in place of the old one, so that the place on the page and a choice
   of the keyboard stay. Without this script the page has a link that does the same. */
"use strict";

(() => {
  const INTERVAL_MS = 2000;
  const PLACE = "going";

  async function renew() {
    let answer;
    try {
      answer = await fetch(location.href, { credentials: "same-origin" });
    } catch {
      return true; // no connection just now
    }
    if (!answer.ok) return false;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById(PLACE);
    const place = document.getElementById(PLACE);
    if (!fresh || !place) {
      location.reload(); // it has ended: the page has more to say
      return false;
    }
    place.replaceChildren(...fresh.childNodes);
    return true;
  }

  async function turn() {
    if (document.hidden || (await renew())) setTimeout(turn, INTERVAL_MS);
  }

  setTimeout(turn, INTERVAL_MS);
})();
