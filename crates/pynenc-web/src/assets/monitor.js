// Adds what a page without scripts can't do: times in the viewer's zone.
for (const time of document.querySelectorAll("time")) {
  time.textContent = new Date(time.dateTime).toLocaleString();
}
