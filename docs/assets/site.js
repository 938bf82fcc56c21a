// What the theme's own script leaves out for readers without a mouse:
// every "copy" button stands in a nav without a name, which is no place to navigate to, and wide
// blocks of code lose the keyboard's focus where there is no pointer.
function mend() {
  for (const nav of document.querySelectorAll(".md-code__nav:not([role])")) {
    nav.setAttribute("role", "none");
  }
  for (const code of document.querySelectorAll("pre > code:not([tabindex])")) {
    if (code.scrollWidth > code.clientWidth) code.setAttribute("tabindex", "0");
  }
}
new MutationObserver(mend).observe(document.documentElement, {
  attributeFilter: ["tabindex"], childList: true, subtree: true,
});
