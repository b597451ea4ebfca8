"use strict";
// Renews the page in place, tells times relative to now, and tells of the day that is pointed at.
// Everything can be read without it.
(() => {
  const EVERY = 10000, DAYS = 90, DAY = 86400000;
  const tip = document.getElementById("tip"), lost = document.getElementById("lost");
  const main = () => document.querySelector("main");

  // ---------------------------------------------------------------------------------------- times

  let ahead = 0; // of the monitor's clock, milliseconds
  const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const length = seconds => {
    let left = Math.max(0, Math.floor(seconds));
    const rank = UNITS.findIndex(([, size]) => left >= size || size === 1);
    const [unit, size] = UNITS[rank], next = UNITS[rank + 1];
    const rest = next ? Math.floor((left % size) / next[1]) : 0;
    return `${Math.floor(left / size)} ${unit}${rest ? ` ${rest} ${next[0]}` : ""}`;
  };
  const say = (element, text) => { if (element.textContent !== text) element.textContent = text; };
  const tick = () => {
    const now = Date.now() - ahead;
    for (const time of document.querySelectorAll("time[data-for], time[data-ago]")) {
      if (!time.title) {
        const utc = time.dateTime.slice(0, 16).replace("T", " ");
        time.title = `${utc} UTC, ${new Date(time.dateTime).toLocaleString()} here`;
      }
      const ago = length((now - Date.parse(time.dateTime)) / 1000);
      say(time, "for" in time.dataset ? `for ${ago}` : `${ago} ago`);
    }
  };

  // ------------------------------------------------------------------------------------- the bars

  const NAMES = ["down", "degraded", "limited", "maintenance"];
  const day = (strip, place) => {
    const date = new Date(Date.parse(main().dataset.first) + place * DAY);
    const name = date.toLocaleDateString("en-GB",
      { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
    let told = "up, as far as is known";
    for (const note of strip.dataset.days.split(" ")) {
      if (note.includes("-")) {
        const [first, last] = note.split("-").map(Number);
        if (place >= first && place <= last) told = "nothing known";
        continue;
      }
      const [which, ...figures] = note.split(".").map(Number);
      if (note && which === place) {
        const known = figures.pop();
        const trouble = figures.map((s, n) => s && `${NAMES[n]} ${length(s)}`).filter(Boolean);
        told = `${trouble.join(", ") || "up"}, known ${known} %`;
      }
    }
    return `${name}: ${told}`;
  };
  let shown = null;
  const hide = () => {
    if (shown) delete shown.dataset.at;
    shown = null;
    tip.hidden = true;
  };
  const show = (strip, place) => {
    place = Math.max(0, Math.min(DAYS - 1, place));
    if (shown && shown !== strip) delete shown.dataset.at;
    shown = strip;
    const text = day(strip, place), box = strip.getBoundingClientRect();
    strip.dataset.at = place;
    strip.style.setProperty("--at", place);
    strip.setAttribute("aria-valuenow", place);
    strip.setAttribute("aria-valuetext", text);
    tip.textContent = text;
    tip.hidden = false;
    const middle = box.left + (place + 0.5) / DAYS * box.width, half = tip.offsetWidth / 2;
    const wide = document.documentElement.clientWidth;
    tip.style.left = `${Math.max(8, Math.min(wide - 8 - 2 * half, middle - half)) + scrollX}px`;
    tip.style.top = `${box.top + scrollY - tip.offsetHeight - 8}px`;
  };
  const at = strip => Number(strip.getAttribute("aria-valuenow"));
  const pointed = event => {
    const strip = event.target.closest?.(".bars");
    if (!strip) {
      if (shown !== document.activeElement) hide();
      return;
    }
    const box = strip.getBoundingClientRect();
    show(strip, Math.floor((event.clientX - box.left) / box.width * DAYS));
  };
  document.addEventListener("pointermove", pointed);
  document.addEventListener("pointerdown", pointed);
  document.addEventListener("focusin", event => {
    if (event.target.matches(".bars")) show(event.target, at(event.target));
  });
  document.addEventListener("focusout", hide);
  document.addEventListener("keydown", event => {
    const strip = event.target;
    if (!strip.matches?.(".bars")) return;
    const to = { ArrowLeft: at(strip) - 1, ArrowRight: at(strip) + 1, ArrowDown: at(strip) - 1,
      ArrowUp: at(strip) + 1, Home: 0, End: DAYS - 1, PageDown: at(strip) - 7,
      PageUp: at(strip) + 7 }[event.key];
    if (event.key === "Escape") hide();
    if (to === undefined) return;
    event.preventDefault();
    show(strip, to);
  });
  // Only a script makes a slider of a picture: each bar can then be reached with the arrow keys.
  const enliven = root => {
    for (const strip of root.querySelectorAll(".bars")) {
      strip.setAttribute("role", "slider");
      strip.tabIndex = 0;
      strip.setAttribute("aria-valuemin", 0);
      strip.setAttribute("aria-valuemax", DAYS - 1);
      strip.setAttribute("aria-valuenow", DAYS - 1);
      strip.setAttribute("aria-valuetext", day(strip, DAYS - 1));
    }
    tick();
  };

  // ---------------------------------------------------------------------------------- the renewal

  const parts = root =>
    new Map([...root.querySelectorAll("[data-part]")].map(part => [part.dataset.part, part]));
  const texts = root => new Map([...parts(root)].map(([name, part]) => [name, part.outerHTML]));
  let told = texts(document); // as the monitor sent it
  // Only what changed is put in, so that nobody's focus, selection or place is lost.
  const renew = fresh => {
    const news = texts(fresh), from = parts(fresh), to = parts(document);
    const key = document.activeElement.id || document.activeElement.getAttribute("href");
    if ([...news.keys()].join("\n") !== [...told.keys()].join("\n")) {
      hide();
      main().replaceWith(fresh.querySelector("main"));
      enliven(main());
    } else {
      main().dataset.first = fresh.querySelector("main").dataset.first;
      for (const [name, html] of news) {
        if (html === told.get(name)) continue;
        if (to.get(name).contains(shown)) hide();
        to.get(name).replaceWith(from.get(name));
        enliven(from.get(name));
      }
    }
    told = news;
    if (key && document.activeElement === document.body) {
      const again = [...main().querySelectorAll("[id], a[href]")];
      again.find(one => (one.id || one.getAttribute("href")) === key)?.focus({ preventScroll: true });
    }
    document.title = fresh.title;
    document.querySelector("link[rel=icon]").href = fresh.querySelector("link[rel=icon]").href;
  };
  const since = () => new Date(Date.now() - ahead).toISOString().slice(11, 19);
  const look = async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(location.pathname, { signal: AbortSignal.timeout(EVERY) });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const clock = fresh.querySelector("main")?.dataset.clock;
      if (!clock) throw new Error("no page");
      ahead = Date.now() - clock * 1000;
      renew(fresh);
      say(lost, "");
      last = since();
    } catch {
      // An old page must not look like a live one.
      say(lost, `The monitor does not answer: this page is as it was at ${last} UTC.`);
    }
  };
  ahead = Date.now() - main().dataset.clock * 1000;
  let last = since();
  enliven(document);
  setInterval(tick, 1000);
  setInterval(look, EVERY);
  document.addEventListener("visibilitychange", look);
})();
