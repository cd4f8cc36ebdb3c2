/* Keeps every [data-renew-s] as it is on the server, until what comes no longer asks for it. */
"use strict";

(() => {
  async function renew(place) {
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.ok) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const newer = page.getElementById(place.id);
        if (newer) {
          const adopted = document.adoptNode(newer);
          place.replaceWith(adopted);
          place = adopted;
        }
      }
    } catch {
      // The server may be on its way up again: asked once more.
    }
    wait(place);
  }

  function wait(place) {
    const seconds = Number(place.dataset.renewS);
    if (seconds > 0) setTimeout(renew, seconds * 1000, place);
  }

  document.addEventListener("DOMContentLoaded", () => {
    for (const place of document.querySelectorAll("[data-renew-s]")) wait(place);
  });
})();
