// The session ended while a fragment was fetched: the sign-in page belongs in the window, not in the fragment's place.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (new URL(event.detail.xhr.responseURL).pathname !== "/login/") return;
  event.preventDefault();
  window.location.reload();
});

// Nobody looks at a hidden tab: what polls there rests until it is seen again.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && event.target.matches("[data-poll]")) event.preventDefault();
});
