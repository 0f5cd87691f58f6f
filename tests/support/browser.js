({
  // What each function returns is a list of lines for people.
  name(element) {
    const id = element.id ? `#${element.id}` : "";
    return `${element.tagName.toLowerCase()}${id} ${(element.textContent || "").trim().slice(0, 40)}`.trim();
  },
  // Elements that make the page scroll sideways; those in a part that scrolls by itself do not.
  wide() {
    if (document.documentElement.scrollWidth <= innerWidth) return [];
    const beyond = [...document.body.querySelectorAll("*")].filter(
      (element) => element.getBoundingClientRect().right > innerWidth + 0.5 && element.checkVisibility()
        && !this.scrolls(element.parentElement));
    return (beyond.length ? beyond.slice(-3) : [document.body]).map(this.name);
  },
  // Whether an element, or one around it, scrolls by itself.
  scrolls(element) {
    if (!element || element === document.body) return false;
    return getComputedStyle(element).overflowX !== "visible" || this.scrolls(element.parentElement);
  },
  // Whether a text directly in <details> is folded away: that element itself is visible.
  folded(text) {
    const details = text.parentElement;
    return details.localName === "details"
      && getComputedStyle(details, "::details-content").contentVisibility === "hidden";
  },
  // Texts of the page's content that have no room on it, or stand in a part that would have to be scrolled.
  unseen() {
    const found = [];
    const walk = document.createTreeWalker(document.querySelector("main") || document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
      const text = walk.currentNode, parent = text.parentElement;
      if (!text.textContent.trim() || parent.closest("script, style, template, title, option, button, [data-screen-only]")) continue;
      if (!parent.checkVisibility({ visibilityProperty: true }) || this.folded(text)) found.push(text);
    }
    const scrolled = [...document.querySelectorAll("main *")].filter(
      (element) => element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0
        && ["auto", "scroll", "hidden", "clip"].includes(getComputedStyle(element).overflowX)
        && element.clientWidth > 1 && element.checkVisibility());
    return [...found.map((text) => text.textContent.trim().slice(0, 60)), ...scrolled.map(this.name)];
  },
  // Marks the controls that a reader sees, notes those that get the focus from now on, and returns how often Tab has to
  // be pressed to come to all of them.
  number(selector) {
    document.activeElement.blur();
    const seen = [...document.querySelectorAll(selector)].filter(
      (element) => !element.disabled && element.checkVisibility({ visibilityProperty: true }));
    for (const element of seen) element.dataset.reached = "no";
    addEventListener("focusin", ({ target }) => {
      // The arrow keys go from one radio button of a group to the others.
      const group = target.type === "radio" ? `input[type=radio][name="${CSS.escape(target.name)}"]` : null;
      for (const element of group ? document.querySelectorAll(group) : [target])
        if (element.dataset.reached) element.dataset.reached = "yes";
    });
    return seen.length + 5;
  },
  missed() {
    return [...document.querySelectorAll("[data-reached=no]")].map(this.name);
  },
})
