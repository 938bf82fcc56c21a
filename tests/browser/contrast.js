// Contrast ratios (WCAG 2.2) of all visible text (4.5:1, large text 3:1) and of chart marks (3:1).
const channel = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const parse = (css) => (css.match(/[\d.]+/g) || []).map(Number);
const ratio = (a, b) => {
  const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
  return (x + 0.05) / (y + 0.05);
};
const ground = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const found = parse(getComputedStyle(at).backgroundColor);
    if (found.length === 3 || found[3] > 0) return found;
  }
  return [255, 255, 255];
};
const text = { checked: 0, below: [] };
const marks = { checked: 0, below: [] };
document.querySelectorAll("details").forEach((details) => { details.open = true; });
for (const element of document.querySelectorAll("body *")) {
  const words = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  const box = element.getBoundingClientRect();
  const style = getComputedStyle(element);
  if (!words || box.width < 2 || style.visibility === "hidden" || style.display === "none") continue;
  if (element.closest("script, style, .hidden, .skip")) continue;
  const inSvg = element.ownerSVGElement;
  const ink = parse(inSvg ? style.fill : style.color);
  const behind = element.classList.contains("inside")
    ? parse(getComputedStyle(element.previousElementSibling).fill) : ground(element);
  const size = parseFloat(style.fontSize);
  const needed = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
  text.checked += 1;
  const found = ratio(ink, behind);
  if (found < needed) text.below.push([element.textContent.slice(0, 40), found.toFixed(2)]);
}
for (const element of document.querySelectorAll("svg .mark, svg .line, svg .rule, svg .cell[fill]")) {
  const style = getComputedStyle(element);
  const ink = parse(element.classList.contains("mark") ? style.fill : style.stroke);
  marks.checked += 1;
  const found = ratio(ink, ground(element));
  if (found < 3) marks.below.push([element.getAttribute("class"), found.toFixed(2)]);
}
return [text, marks];
