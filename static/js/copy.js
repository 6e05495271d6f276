// Copies the text a button names. Without script there is no button, and the text can be selected as it stands.
(() => {
  const said = document.createElement("p");
  said.className = "visually-hidden";
  said.setAttribute("role", "status");
  document.body.append(said);

  // Over plain HTTP browsers give no clipboard: then the text is selected, and the keyboard does the rest.
  const copy = async (text) => {
    window.getSelection().selectAllChildren(text);
    if (navigator.clipboard) await navigator.clipboard.writeText(text.textContent);
    else if (!document.execCommand("copy")) throw new Error("no clipboard");
  };

  const tell = (button, word) => {
    const label = button.firstChild;
    label.textContent = word;
    said.textContent = word;
    window.setTimeout(() => {
      label.textContent = "Copy";
      said.textContent = "";
    }, 2500);
  };

  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      copy(document.getElementById(button.dataset.copy)).then(
        () => tell(button, "Copied"),
        () => tell(button, "Selected: press Ctrl+C"),
      );
    });
  }
})();
