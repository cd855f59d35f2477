"use strict";
// Sorts a table by the column whose heading is clicked; values that are empty stay last.
const order = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

function sort(heading) {
  const body = heading.closest("table").tBodies[0];
  const direction = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  const sign = direction === "ascending" ? 1 : -1;
  const keyed = Array.from(body.rows, (row) => [row.cells[heading.cellIndex].textContent, row]);
  keyed.sort(([a], [b]) => (a === "") - (b === "") || sign * order.compare(a, b));
  body.append(...keyed.map(([, row]) => row));
  for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", direction);
}

for (const heading of document.querySelectorAll("th")) {
  const button = document.createElement("button");
  button.type = "button";
  button.title = "Sort by this column";
  button.append(...heading.childNodes);
  button.addEventListener("click", () => sort(heading));
  heading.append(button);
}
