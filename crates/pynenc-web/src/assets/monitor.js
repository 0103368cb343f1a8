// Adds what pages without scripts can't do: times in the viewer's zone, live updates, keys and copying.

const prefix = document.body.dataset.prefix;
const content = document.getElementById("content");
const search = document.getElementById("search");

/** Shows times in the viewer's zone; the title keeps UTC. */
function localize(root) {
  const today = new Date().toDateString();
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    const dateStyle = at.toDateString() === today ? undefined : "medium";
    time.textContent = at.toLocaleString(undefined, { dateStyle, timeStyle: "medium" });
  }
}

/** Adds a button to each block that is worth copying. */
function addCopyButtons(root) {
  if (!navigator.clipboard) return;
  for (const block of root.querySelectorAll(".copy:not(:has(button))")) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Copy" });
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(block.querySelector("pre").textContent);
      button.textContent = "Copied";
    });
    block.append(button);
  }
}

function enhance(root) {
  localize(root);
  addCopyButtons(root);
}

/** Whether the user is doing something that an update would disturb. */
function isBusy() {
  const focused = document.activeElement;
  const isInForm = content.contains(focused) && focused.closest("form");
  const selection = getSelection();
  const isSelecting = !selection.isCollapsed && content.contains(selection.anchorNode);
  return document.hidden || isInForm || isSelecting;
}

/** A name for an element that its successor after an update has too. */
function keyOf(element) {
  return element.id || element.getAttribute("href") || element.querySelector?.("summary")?.textContent || "";
}

/** Loads this page again, and replaces its content. Keeps what is open, scrolled and focused. */
async function update() {
  const response = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!response.ok || response.redirected) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const fresh = page.getElementById("content");
  if (!fresh || isBusy()) return;
  const open = new Set([...content.querySelectorAll("details[open]")].map(keyOf));
  const scrolled = [...content.querySelectorAll(".scroll")].map((element) => element.scrollLeft);
  const focused = content.contains(document.activeElement) ? keyOf(document.activeElement) : "";
  enhance(fresh);
  content.replaceChildren(...fresh.childNodes);
  for (const details of content.querySelectorAll("details")) details.open ||= open.has(keyOf(details));
  content.querySelectorAll(".scroll").forEach((element, i) => { element.scrollLeft = scrolled[i] ?? 0; });
  if (focused) [...content.querySelectorAll("a, button")].find((element) => keyOf(element) === focused)?.focus();
}

/** Updates the page on the events of its stream, at most once a second. */
function follow(url) {
  const connection = document.querySelector(".connection");
  let isStale = false;
  let isFirst = true;
  let source = null;
  const note = () => {
    // The first event has the state that the page shows.
    if (isFirst) isFirst = false;
    else isStale = true;
  };
  const connect = () => {
    source = new EventSource(url);
    for (const name of ["overview", "invocations", "invocation"]) source.addEventListener(name, note);
    source.onopen = () => { connection.hidden = true; };
    source.onerror = () => { connection.hidden = !source || source.readyState === EventSource.CLOSED; };
  };
  const disconnect = () => { source?.close(); source = null; };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return disconnect();
    if (!source) { isStale = true; isFirst = true; connect(); }
  });
  addEventListener("pagehide", disconnect);
  setInterval(async () => {
    if (!isStale || isBusy()) return;
    isStale = false;
    await update().catch(() => { isStale = true; });
  }, 1000);
  connect();
}

/** `/` goes to the search, `g` and a letter to a page, `?` shows the keys. */
function listenToKeys() {
  const keys = document.getElementById("keys");
  let isGoing = false;
  addEventListener("keydown", (event) => {
    const isTyping = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    if (isGoing) {
      isGoing = false;
      const entry = document.querySelector(`nav a[data-key="${CSS.escape(event.key)}"]`);
      if (entry) { event.preventDefault(); entry.click(); }
      return;
    }
    if (event.key === "/") { event.preventDefault(); search.focus(); }
    if (event.key === "?") { event.preventDefault(); keys.showModal(); }
    if (event.key === "g") isGoing = true;
  });
}

enhance(document);
if (search) listenToKeys();
if (content.dataset.live) follow(content.dataset.live);
document.body.dataset.ready = prefix === undefined ? "false" : "true";
