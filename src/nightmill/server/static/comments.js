// A line's number, pressed, opens a comment on that line; without this file, the line is written into the field by hand.
document.body.dataset.comments = "";
document.addEventListener("click", (event) => {
  const cell = event.target.closest(".lines td.n:nth-child(2)");
  const piece = cell?.textContent && cell.closest(".piece");
  const fold = piece?.querySelector("details.comment:last-of-type");
  if (!fold) return;
  const fields = (of) => of.querySelectorAll("input, textarea");
  let [at, said] = fields(fold);
  const place = at.value.replace(/:[^:]*$/, `:${cell.textContent}`);
  let open = fold;
  if (said.value.trim() && at.value !== place) { // one comment more
    open = fold.cloneNode(true);
    fold.after(open);
    [at, said] = fields(open);
    said.value = "";
  }
  at.value = place;
  open.open = true;
  said.focus();
});
