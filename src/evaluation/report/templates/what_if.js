(function () {
  "use strict";
  var board = document.getElementById("board");
  var sizes = board.dataset.sizes.split(",").map(Number);
  var cells = board.querySelectorAll(".cell");
  function chosen(axis) {
    return Number(board.querySelector("input[name=" + axis + "]:checked").value);
  }
  function show() {
    var place = (chosen("budgets") * sizes[1] + chosen("cautions")) * sizes[2] + chosen("weights");
    for (var i = 0; i < cells.length; i += 1) { cells[i].hidden = i !== place; }
    document.getElementById("said").textContent = cells[place].querySelector("p").textContent;
  }
  board.querySelector(".choices").hidden = false;
  board.addEventListener("change", show);
  show();
}());
