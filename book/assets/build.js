// What changes at every build (times, commit, machine) stands in build-data.js beside the pages, never in a page:
// this script shows it, so that two builds of the same sources are the same files.
(() => {
  const root = document.documentElement.dataset.content_root ?? "./";
  const took = (facts) => `${facts.seconds} s, ${facts.peak_mb ?? "?"} MB`;

  const show = () => {
    const build = window.mdepthBuild;
    for (const place of document.querySelectorAll(".build-info")) {
      const facts = build.chapters[place.dataset.chapter];
      if (facts) place.textContent = `This page ran for ${took(facts)} on ${build.built}, Python ${build.python}, torch ${build.torch}.`;
    }
    for (const place of document.querySelectorAll(".build-times")) {
      const table = document.createElement("table");
      table.className = "table";
      table.createCaption().textContent = `Profile ${build.profile}, built ${build.built}, commit ${build.commit ?? "none"}, ${build.system}`;
      const rows = Object.entries(build.chapters).map(([name, facts]) => [name, facts.seconds, facts.peak_mb ?? "?"]);
      for (const [index, cells] of [["chapter", "seconds", "peak memory (MB)"], ...rows].entries()) {
        const row = table.insertRow();
        for (const cell of cells) {
          const made = row.appendChild(document.createElement(index ? "td" : "th"));
          made.textContent = cell;
        }
      }
      place.replaceChildren(table);
    }
  };

  addEventListener("DOMContentLoaded", () => {
    if (!document.querySelector(".build-info, .build-times")) return;
    const script = document.createElement("script");
    script.src = `${root}build-data.js`;
    script.onload = show;
    document.head.append(script);
  });
})();
