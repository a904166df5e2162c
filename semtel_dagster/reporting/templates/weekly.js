(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const configs = read("chart-config");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const printing = window.matchMedia("print");
  const draw = () => {
    const config = dark.matches && !printing.matches ? configs.dark : configs.light;
    const theme = dark.matches ? "dark" : "custom";
    for (const box of document.querySelectorAll("[data-chart]")) {
      vegaEmbed(box, read(box.dataset.chart), { actions: false, renderer: "svg", config, tooltip: { theme } })
        .catch(() => { box.textContent = "This chart could not be drawn; its figures are in the table below."; });
    }
  };
  dark.addEventListener("change", draw);
  printing.addEventListener("change", draw);
  window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => { each.open = true; }));
  draw();
})();
