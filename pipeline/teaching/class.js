// Sorts the table of a class by the column whose title is clicked.

const table = document.querySelector("#table table");
const heads = [...table.tHead.rows[0].cells];

const compare = (one, other) => {
  const difference = Number(one) - Number(other);
  return Number.isNaN(difference) ? one.localeCompare(other) : difference;
};

const sort = (column) => {
  const isAscending = heads[column].getAttribute("aria-sort") === "ascending";
  const sign = isAscending ? -1 : 1;
  // A row without points has one wide cell instead of them, and is always last.
  const value = (row) => {
    const cell = row.cells[column];
    return cell && cell.colSpan === 1 ? cell.textContent.trim() : null;
  };
  const rows = [...table.tBodies[0].rows].map((row) => ({ row, value: value(row) }));
  rows.sort((a, b) =>
    a.value === null || b.value === null
      ? (a.value === null) - (b.value === null)
      : sign * compare(a.value, b.value),
  );
  table.tBodies[0].append(...rows.map(({ row }) => row));
  for (const head of heads) head.removeAttribute("aria-sort");
  heads[column].setAttribute("aria-sort", isAscending ? "descending" : "ascending");
};

heads.forEach((head, column) => {
  // A click anywhere in the cell sorts. The button in it is for the keyboard.
  head.addEventListener("click", () => sort(column));
});
