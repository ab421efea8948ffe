import { echarts } from "nicegui-echart";

// The framework's own chart breaks where a page is left before its chart was drawn.
export default {
  template: "<div></div>",
  mounted() {
    // Drawing takes long: it waits until somebody can see it.
    this.seen = new IntersectionObserver((entries) => {
      if (!entries.some((one) => one.isIntersecting)) return;
      this.seen.disconnect();
      this.chart = echarts.init(this.$el);
      this.size = new ResizeObserver(() => this.chart.resize());
      this.size.observe(this.$el);
      this.update_chart();
    });
    this.seen.observe(this.$el);
  },
  beforeUnmount() {
    this.left = true;
    this.seen.disconnect();
    this.size?.disconnect();
    this.chart?.dispose();
  },
  methods: {
    update_chart() {
      // After what else has changed is shown: drawing takes long.
      setTimeout(() => { if (!this.left) this.chart?.setOption(this.options, { notMerge: true }); }, 0);
    },
  },
  props: { options: Object },
};
